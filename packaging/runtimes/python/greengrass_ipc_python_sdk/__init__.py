"""How greengrasssdk (Greengrass V1's SDK for Lambda functions) reaches the device."""
