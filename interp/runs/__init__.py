"""What a training run's folder tells, read without the trainer."""
