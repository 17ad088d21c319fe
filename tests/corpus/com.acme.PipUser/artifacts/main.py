import acme_sensors

print("reads", acme_sensors.read())
