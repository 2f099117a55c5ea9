// Every error that this package throws. Messages name the endpoint or file, the cause, the remedy.

/** Base of all. */
export class InotifierError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** Why nothing can be received; one of the following. */
export class ConnectionFailed extends InotifierError {}
export class NothingListens extends ConnectionFailed {}
/** A daemon that wants (other) keys, or no access to the socket. */
export class HandshakeRefused extends ConnectionFailed {}
/** Something listens, but no daemon of ours. */
export class NotInotifier extends ConnectionFailed {}
export class BadEndpoint extends ConnectionFailed {}
/** A key file that cannot be used. */
export class BadKey extends ConnectionFailed {}
/** Connected, but the answer did not come in time: whether the request was carried out is not known. */
export class NoAnswer extends ConnectionFailed {}
/** The daemon is older or newer than this package. */
export class ProtocolMismatch extends ConnectionFailed {}

/** What the daemon refused; the codes are those of clients/README.md. */
export class RequestError extends InotifierError {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
