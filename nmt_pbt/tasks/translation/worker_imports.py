"""All that a worker of translation needs: imported once, by the process from which workers are forked."""

from nmt_pbt.tasks.translation.tensorflow_start import import_tensorflow

import_tensorflow()

from nmt_pbt.tasks.translation import task, teachers  # noqa: E402, F401 - only now, as they import it as well
