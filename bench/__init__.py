"""The benchmark: aiagentchat beside a floor, in one run."""
