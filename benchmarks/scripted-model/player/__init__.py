"""The scripted model, in reading order: answer, conversation, toolbox, goal, play, diagnose."""
