"""`make screenshots`: what people see of aiagentchat in Element and in Hydrogen, driven in a real browser."""
