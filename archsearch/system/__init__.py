"""What archsearch needs from the operating system: nothing here knows about models, runs or settings.

`atomic` writes files that appear by rename, `locks` keeps processes apart, `process` imports quickly, keeps memory and
ends quickly, `hardware` names the processor. Open `atomic` first.
"""
