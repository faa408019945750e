"""The tools that the model may call.

Every module in this package is a tool: it has `SPEC`, the JSON description that
the model is given, and `run(arguments)`, which returns the text that the model is
shown. To add a tool, add a module. A result that starts with `Error` says that
the call failed.
"""

import importlib
import os


class Toolbox:
    def __init__(self, modules):
        self.modules = {module.SPEC["name"]: module for module in modules}

    def specs(self):
        """Returns the tools in the shape of a Chat Completions request."""
        return [{"type": "function", "function": m.SPEC} for m in self.modules.values()]

    def run(self, name, arguments):
        """Runs a tool; whatever goes wrong becomes text for the model."""
        if name not in self.modules:
            return "Error: there is no tool `%s`." % name
        try:
            return self.modules[name].run(arguments)
        except KeyError as error:
            return "Error: the argument %s is missing." % error
        except Exception as error:  # a tool's failure must not end the run
            return "Error: %s" % error


def load():
    """Returns all tools of this package."""
    names = sorted(
        name[:-3]
        for name in os.listdir(os.path.dirname(__file__))
        if name.endswith(".py") and name != "__init__.py"
    )
    return Toolbox([importlib.import_module("agent.tools." + name) for name in names])
