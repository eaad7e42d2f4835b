"""Which parameters, gradient steps and training texts a prediction rests on."""
