"""What the `dev` tasks do: restricted paths and URLs, git, and commands with limits."""
