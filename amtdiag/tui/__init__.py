"""The live view on a whole terminal. textual is imported when it is shown.

`rows` and `detail` say what there is to show, `state` holds it for whoever draws, `widgets` and `app` draw.
Text of a capture is safe when it comes here, and reaches rich as `Text`, never as markup.
"""

from amtdiag.tui.show import watch_on_screen

__all__ = ["watch_on_screen"]
