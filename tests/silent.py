"""A callback that does nothing."""


class Silent:
    def on_start(self, done, total_steps, epoch_length):
        pass

    def on_step(self, step, lr):
        pass

    def on_epoch(self, row):
        pass
