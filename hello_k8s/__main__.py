"""`python -m hello_k8s`: what the launcher runs once the virtual environment exists."""

from hello_k8s.cli import main

if __name__ == "__main__":
    main()
