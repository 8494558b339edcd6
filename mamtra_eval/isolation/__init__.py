"""Systems in processes of their own, under the Python of another environment.

Packages of speech synthesizers pin what contradicts each other, and crash in native code. So a
system may run as a *guest*: a process that is started under another interpreter, works with this
very package's code, and is asked over pipes. A guest that dies costs the clip that it was making.

A plugin calls ``placing.placed(kind, options, make)`` in its ``create`` and is placed as the user
says (option ``env``); nothing else in it knows of processes.

``messages``  frames on the pipes
``carrying``  clips, requests and errors as messages, audio in files
``folders``   where those files lie
``_start``    what the other interpreter runs: a plain script that needs nothing
``guest``     the loop of the process
``host``      one such process, seen from here
``system``    a ``System`` that asks guests, replaces those that die, and gives up in the end
``placing``   which interpreter
"""
