"""What greengrasssdk (Greengrass V1's SDK for Lambda functions) expects of the system that runs it: who is who."""
