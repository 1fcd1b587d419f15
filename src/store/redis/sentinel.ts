import { type SentinelConnectionOptions, SentinelConnector } from 'ioredis';

/**
 * Asks sentinels for the master. It is told of failovers as long as it has a connection; ioredis' own listens on while it asks
 * for the next master, and one that is told of then ends the connection for good, with all that waits for it.
 */
export class SteadySentinelConnector extends SentinelConnector {
  /** @param options what ioredis was given: it hands on all of it. */
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override connect(
    ...args: Parameters<SentinelConnector['connect']>
  ): ReturnType<SentinelConnector['connect']> {
    // In brackets, for it is private. Once there is a connection, another one takes its place.
    this['failoverDetector']?.cleanup();
    return super.connect(...args);
  }
}
