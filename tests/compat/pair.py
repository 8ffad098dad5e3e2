# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two agents that get the same requests."""

from agent import QEMU_GA, Agent, CommandError


class Answer:
    """What one agent replied: a value, or an error's class and text."""

    def __init__(self, value=None, error=None):
        self.value = value
        self.error_class = error.error_class if error else None
        self.text = str(error) if error else None

    def __eq__(self, other):
        return (self.value, self.error_class) == (other.value, other.error_class)

    def __repr__(self):
        return f"{self.error_class}: {self.text}" if self.error_class else repr(self.value)


class Pair:
    """quiesced and qemu-ga. What is written to files goes to a folder of each agent's own, which
    `{dir}` in a string argument stands for."""

    def __init__(self, directory):
        self.agents = {}
        for name, program in (("quiesced", None), ("qemu-ga", QEMU_GA)):
            folder = directory / name
            folder.mkdir()
            self.agents[name] = Agent(folder, program) if program else Agent(folder)

    def __enter__(self):
        for agent in self.agents.values():
            agent.start()
        return self

    def __exit__(self, *_):
        for agent in self.agents.values():
            agent.stop()

    def ask(self, command, **arguments):
        """Both answers, by the agent's name. A callable argument gets the agent's name."""
        return {name: self.ask_one(name, command, **arguments) for name in self.agents}

    def ask_one(self, name, command, **arguments):
        agent = self.agents[name]
        own = {}
        for key, value in arguments.items():
            value = value(name) if callable(value) else value
            if isinstance(value, str):
                value = value.replace("{dir}", str(agent.directory))
            own[key.replace("_", "-")] = value
        try:
            return Answer(agent.call(command, **own))
        except CommandError as error:
            return Answer(error=error)

    def open(self, path, mode=None):
        """Opens the file with both: for each agent's name its handle."""
        options = {"mode": mode} if mode else {}
        answers = self.ask("guest-file-open", path=path, **options)
        assert all(answer.error_class is None for answer in answers.values()), answers
        return {name: answer.value for name, answer in answers.items()}.__getitem__

    def path(self, name, file_name):
        return self.agents[name].directory / file_name

    def put(self, file_name, content):
        """A file for each agent, as it finds it under {dir}."""
        for name in self.agents:
            self.path(name, file_name).write_bytes(content)

    def contents(self, file_name):
        """What became of it: the same for both."""
        found = {name: self.path(name, file_name).read_bytes() for name in self.agents}
        assert found["quiesced"] == found["qemu-ga"]
        return found["quiesced"]

    def same(self, command, **arguments):
        """Asks both, insists on the same value or class of error, and returns quiesced's answer."""
        answers = self.ask(command, **arguments)
        assert answers["quiesced"] == answers["qemu-ga"], f"{command} {arguments}: {answers}"
        return answers["quiesced"]

    def same_text(self, command, **arguments):
        """The same, down to the text of the error."""
        answers = self.ask(command, **arguments)
        texts = {name: str(answer.text).replace(str(self.agents[name].directory), "{dir}")
                 for name, answer in answers.items()}
        assert answers["quiesced"] == answers["qemu-ga"], f"{command} {arguments}: {answers}"
        assert texts["quiesced"] == texts["qemu-ga"]
        return answers["quiesced"]
