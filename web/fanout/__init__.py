"""From the Redis channel to the sockets. The one place that leans on parts below public surfaces."""
