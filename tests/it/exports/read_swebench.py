"""Reads predictions and sums up reports with SWE-bench's own harness.

usage: read_swebench.py FOLDER PREDICTIONS INSTANCE...   (FOLDER holds `logs/`)
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys
from pathlib import Path
from unittest import mock


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for packages that the harness imports and that nothing used here needs."""

    names = {"datasets", "docker", "dotenv", "modal", "tenacity", "tqdm", "unidiff"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = mock.MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        return module

    def exec_module(self, module):
        pass


sys.meta_path.append(Absent())

from swebench.harness.reporting import make_run_report  # noqa: E402
from swebench.harness.utils import get_predictions_from_file  # noqa: E402

folder, file, *instances = sys.argv[1:]
predictions = get_predictions_from_file(os.path.abspath(file), "", "")
os.chdir(folder)
[run_id] = os.listdir("logs/run_evaluation")
talk, sys.stdout = sys.stdout, sys.stderr
report = make_run_report(
    {prediction["instance_id"]: prediction for prediction in predictions},
    [{"instance_id": instance} for instance in instances],
    run_id,
    report_dir="official",
)
own = json.loads((Path(".") / report.name).read_text())
sys.stdout = talk
assert own == json.loads(report.read_text()), (own, report.read_text())
print(json.dumps(own))
