"""This deployment's Flask process: namespaces, polling routes, fan-out, identity."""
