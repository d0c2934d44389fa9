"""The work of this deployment: publishing posts, and syncing analytics."""
