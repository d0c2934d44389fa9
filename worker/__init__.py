"""This deployment's Celery process."""
