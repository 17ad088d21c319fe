from .reading import read

print("service reads", read())
