"""A watcher that takes no note of anything."""


class Silent:
    def begin(self, done, iterations, epoch_length):
        pass

    def iteration(self, iteration, rate):
        pass

    def epoch(self, row):
        pass
