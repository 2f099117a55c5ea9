// The option stopSignals: SIGTERM, SIGINT and SIGHUP end the loops of this process, so that what is done is
// acked and a consumer is released. Without it a process that is ended keeps its consumer until the
// lease ends, and the next one stands by so long.

const SIGNALS = /** @type {const} */ (["SIGTERM", "SIGINT", "SIGHUP"]);

/**
 * Calls `stop` at the first of them, once. A second one ends the process as ever.
 * @param {() => void} stop
 * @returns {() => void} leaves the signals alone again
 */
export function onStopSignals(stop) {
  const leave = () => {
    for (const signal of SIGNALS) process.off(signal, once);
  };
  const once = () => {
    leave();
    stop();
  };
  for (const signal of SIGNALS) process.on(signal, once);
  return leave;
}
