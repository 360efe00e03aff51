"""The only code that touches the machine: engine, images, cluster, tools. Knows nothing of labs."""
