def greet(whom):
    return f"shared greeting for {whom}"
