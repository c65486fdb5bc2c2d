"""Coverage-guided fuzzing of what reads strangers' bytes.

targets.py       a function per reader, which raises what would be a finding
seeds.py         small good inputs to start from
one.py           one target in a process of its own, under atheris
__main__.py      all targets for some minutes, and a table of them
regressions/     inputs that were findings once, by target: part of the tests
"""
