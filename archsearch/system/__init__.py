"""What archsearch needs from the operating system. Nothing here depends on models, runs or settings.

`atomic` writes files atomically, `locks` locks folders between processes, `process` speeds up imports, memory
allocation and exit, `hardware` names the processor, `bar` is the progress bar of all commands, `main_module` hides
somebody else's program from new processes. Open `atomic` first.
"""
