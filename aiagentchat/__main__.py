"""`python -m aiagentchat` is the operator's command, as `aiagentchat` is."""

from aiagentchat.cli.main import main

if __name__ == "__main__":
    main()
