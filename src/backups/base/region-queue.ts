/**
 * Hands a stream that is made once to one of several readers, each at its own pace: the writer asks for `room` before it goes on, so the
 * slowest reader sets the speed and memory stays bounded.
 */
export interface RegionQueue extends AsyncIterable<Uint8Array> {
  push(bytes: Uint8Array): void;
  /** Resolves when less than the limit waits, or when nobody reads any more. */
  room(): Promise<void>;
  /** No more comes; with an error, reading throws it: the object must not come to be. */
  end(error?: Error): void;
  /** Nobody reads any more. */
  leave(): void;
}

export function createRegionQueue(limitBytes: number): RegionQueue {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let ended = false;
  let left = false;
  let failure: Error | undefined;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;
  const wake = (waker: (() => void) | undefined) => waker?.();

  return {
    push(bytes) {
      if (left || ended) return;
      waiting.push(bytes);
      waitingBytes += bytes.byteLength;
      wake(wakeReader);
    },
    async room() {
      while (!left && waitingBytes >= limitBytes) {
        await new Promise<void>((resolve) => {
          wakeWriter = resolve;
        });
      }
    },
    end(error) {
      ended = true;
      failure = error;
      wake(wakeReader);
    },
    leave() {
      left = true;
      waiting = [];
      waitingBytes = 0;
      wake(wakeWriter);
      wake(wakeReader);
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (failure) throw failure;
        const bytes = waiting.shift();
        if (bytes) {
          waitingBytes -= bytes.byteLength;
          wake(wakeWriter);
          yield bytes;
        } else if (ended || left) return;
        else {
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
      }
    },
  };
}
