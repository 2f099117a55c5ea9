// Durations are seconds, as in the protocol. Positions are 20 digits of text; "0" is before all.

/** Where the client sees the root of each watch: {incoming: "/mnt/dicom"}. */
export type Roots = Record<string, string>;

/** Where the daemon is, and the keys if it wants some. */
export interface Connection {
  /**
   * Default: INOTIFIER_FETCH_ENDPOINT (subscribe: INOTIFIER_PUBLISH_ENDPOINT), else the first socket
   * that is there in $XDG_RUNTIME_DIR/inotifier/, /tmp/inotifier-UID/ and /run/inotifier/.
   */
  endpoint?: string | undefined;
  /** Files of `inotifier keygen`. Default: INOTIFIER_SERVER_KEY, INOTIFIER_KEY, else no keys. */
  serverKey?: string | undefined;
  key?: string | undefined;
  /** How long to wait for a daemon that has not started yet (2.5). Later a lost connection is renewed for ever. */
  connectTimeout?: number | undefined;
}

export type FileType =
  | "file.completed"
  | "file.moved"
  | "file.removed"
  | "file.stalled"
  | "file.rejected";
type RawName =
  | "access" | "attrib" | "close_nowrite" | "close_write" | "create" | "delete" | "delete_self"
  | "ignored" | "modify" | "move_self" | "moved_from" | "moved_to" | "open" | "q_overflow"
  | "unmount";
export type EventType =
  | FileType
  | "watch.ready"
  | "watch.scanned"
  | "watch.rescan"
  | "watch.lost"
  | "watch.restored"
  | "watch.degraded"
  | "directory.completed"
  | "group.completed"
  | `in_${RawName}`;

export interface Filters<T extends EventType = EventType> {
  /** Absent or empty: all; of a consumer that exists: as stored with it. */
  types?: Iterable<T> | undefined;
  watches?: Iterable<string> | undefined;
}

interface Selection<T extends EventType> extends Connection, Filters<T> {
  /** Default: INOTIFIER_ROOTS="incoming=/mnt/dicom:other=/mnt/o". */
  roots?: Roots | undefined;
  /** Ends the loop: next() gives null. A loop body that is running comes to its end first. */
  signal?: AbortSignal | undefined;
  /** SIGTERM, SIGINT and SIGHUP end the loop as `signal` does; a second one ends the process (false). */
  stopSignals?: boolean | undefined;
}

/** Published, but not received here: not connected, or too slow. */
export interface Gap {
  /** "file.completed/incoming/" */
  topic: string;
  /** Position of the last event of that topic that was received; "0" for none. */
  after: string;
  /** Position of the last one known to be missing. */
  until: string;
}

export interface SubscribeOptions<T extends EventType = EventType> extends Selection<T> {
  onGap?: ((gap: Gap) => void) | undefined;
}

/** "owner": events are for us. "standby": another client has the consumer. "disconnected": looked for. */
export type State = "owner" | "standby" | "disconnected";

/** Why what was given out is not ours any more; what was not acked comes again, to us or to another. */
export interface Reset {
  code: "not_owner" | "stream_changed" | "bad_ack";
  message: string;
}

/** Events in that range of positions were no longer kept when we came for them. */
export interface Lost {
  first: string;
  last: string;
}

export interface ConsumeOptions<T extends EventType = EventType> extends Selection<T> {
  /** Events a fetch, and how many may be out beyond one that is not done; 1 to 4096 (256). */
  limit?: number | undefined;
  /** How long the daemon holds a fetch back when there is nothing, at most 60 and half the lease (30). */
  wait?: number | undefined;
  /** How long a client that is silent keeps the consumer, 1 to 3600 (60). Renewed while the process lives. */
  lease?: number | undefined;
  /** Where a new consumer begins; says nothing to one that exists ("oldest"). */
  start?: "oldest" | "now" | "state" | undefined;
  /** false: RequestError "unknown_consumer" if there is none (true). */
  create?: boolean | undefined;
  onLost?: ((lost: Lost) => void) | undefined;
  onReset?: ((reset: Reset) => void) | undefined;
  onState?: ((state: State) => void) | undefined;
}

/** A CloudEvent; every field of it is as in clients/README.md. Frozen. null: absent. */
export class Event {
  constructor(envelope: unknown, roots?: Roots);
  /** 32 hex digits; the same fact has the same id however often it is told. */
  readonly id: string;
  /** "file.completed", "watch.ready", ... */
  readonly type: string;
  /** "//<daemon name>/<watch>" */
  readonly source: string;
  /** Relative path, percent-encoded. */
  readonly subject: string | null;
  readonly watch: string;
  /** When it was established, to the millisecond; the daemon always says. */
  readonly time: Date;
  /** The same as RFC 3339 text with its nine decimals. */
  readonly timeText: string;
  /** In the journal; CloudEvents' sequence. */
  readonly position: string | null;
  /** Of the event before it of the same topic; "0" for the first. */
  readonly previousPosition: string | null;
  /** What fs.open takes, whatever the name is; mapped by `roots`. */
  readonly pathBytes: Buffer | null;
  /** The same as text; U+FFFD where the name is no UTF-8, and no path to open then. */
  readonly path: string | null;
  /** For databases and pages: `path`, always valid Unicode, or "" if the event has none. */
  readonly displayPath: string;
  readonly relativePath: string | null;
  /** The watch's directory, mapped by `roots`. */
  readonly root: string | null;
  readonly size: number | null;
  readonly evidence: string | null;
  readonly origin: string | null;
  /** As received: nothing in it is mapped. */
  readonly data: Record<string, any>;
  /** The CloudEvent in JSON's format. */
  toJSON(): Record<string, any>;
  /** From what JSON.stringify() made of an event, as text or parsed. */
  static fromJSON(json: string | object, roots?: Roots): Event;
}

/** An event of a file: it has a path. */
export interface FileEvent extends Event {
  readonly type: FileType;
  readonly pathBytes: Buffer;
  readonly path: string;
  readonly relativePath: string;
}
/** Any other: of a watch itself, or a record of inotify's. */
export interface OtherEvent extends Event {
  readonly type: Exclude<EventType, FileType>;
}
/** What comes if these types were asked for: `types: ["file.completed"]` gives events with a path. */
export type EventOf<T extends EventType> =
  | (T & FileType extends never ? never : FileEvent)
  | (Exclude<T, FileType> extends never ? never : OtherEvent);

/** What subscribe() gives. `break` or an error ends it. */
export class Subscriber<T extends EventType = EventType> implements AsyncIterable<EventOf<T>> {
  constructor(options?: SubscribeOptions<T>);
  readonly endpoint: string;
  /** True once anything has come, a heartbeat at least: what is published from now on comes, or is a gap. */
  readonly live: boolean;
  /** How many messages were no events. */
  readonly malformed: number;
  /** Connects, which next() does otherwise. Throws ConnectionFailed. */
  open(): Promise<void>;
  /**
   * null: `timeout` seconds ran out, or it was closed or aborted. Throws ConnectionFailed, also when
   * the daemon was started anew and will have us no more.
   */
  next(timeout?: number): Promise<EventOf<T> | null>;
  close(): void;
  [Symbol.asyncIterator](): AsyncGenerator<EventOf<T>, void, void>;
}

/** An event that could not be processed. */
export interface Failure {
  position: string;
  time: string;
  reason: string;
  tries: number;
  event: Event;
}

/**
 * What consume() gives. In a `for await` an event is done when the next one is asked for; `break`
 * and an error leave the current one undone and close the consumer. Several loops over one consumer
 * are workers in parallel: what is acked is the unbroken prefix of what is done. The lease is kept
 * by a timer: a loop body that blocks the event loop for longer loses the consumer.
 */
export class Consumer<T extends EventType = EventType> implements AsyncIterable<EventOf<T>> {
  constructor(name: string, options?: ConsumeOptions<T>);
  readonly name: string;
  readonly state: State;
  /** Which life of the positions; null before open(). */
  readonly stream: string | null;
  /** How many events of all kinds lay in the journal after the last fetch; null before. */
  readonly behind: number | null;
  readonly malformed: number;
  /** Connects, which next() does otherwise; the daemon's answer to "hello". Throws ConnectionFailed. */
  open(): Promise<Record<string, any>>;
  /**
   * One event, to be finished with done(); null: `timeout` seconds ran out, or it was closed or
   * aborted. Throws ConnectionFailed, also when the daemon was started anew and will have us no more,
   * and RequestError for what it will not do.
   */
  next(timeout?: number): Promise<EventOf<T> | null>;
  /** This one, in any order. */
  done(event: Event): void;
  /** Everything given out up to this one. */
  ack(upTo: Event | string): void;
  /**
   * It could not be processed, after so many tries: the daemon keeps it with the reason, to be listed
   * and retried, and passes over it. Counts as done. false: it was not ours any more, or is not kept.
   */
  fail(event: Event, reason?: string, tries?: number): Promise<boolean>;
  /** Goes on from there; what was given out is forgotten. The position it is at. */
  seek(to: "start" | "now" | string | Date, stream?: string): Promise<string>;
  /** Tells the daemon now what is done; false if it has not heard within `timeout` seconds (1). */
  flush(timeout?: number): Promise<boolean>;
  /** Changes what the consumer wants: an absent list stays, an empty one means all. What holds now. */
  update(filters: Filters): Promise<{ types: string[]; watches: string[] }>;
  failed(): Promise<Failure[]>;
  /** Delivers failures again, all or some; how many. */
  retry(positions?: Iterable<string>): Promise<number>;
  /** The daemon's, see clients/README.md. */
  status(): Promise<Record<string, any>>;
  /** Acks what is done and releases the consumer; takes at most a second. */
  close(): Promise<void>;
  [Symbol.asyncIterator](): AsyncGenerator<EventOf<T>, void, void>;
}

/** Listens live: what is published while connected. Throws BadKey. */
export function subscribe<T extends EventType = EventType>(
  options?: SubscribeOptions<T>,
): Subscriber<T>;
/** Durable: every event at least once, under the same id each time. */
export function consume<T extends EventType = EventType>(
  name: string,
  options?: ConsumeOptions<T>,
): Consumer<T>;
/** One request, see clients/README.md: request("consumers"). Throws ConnectionFailed, RequestError. */
export function request(
  op: string,
  args?: object,
  connection?: Connection & { timeout?: number | undefined },
): Promise<Record<string, any>>;

export class InotifierError extends Error {
  constructor(message: string);
}
export class ConnectionFailed extends InotifierError {}
export class NothingListens extends ConnectionFailed {}
export class HandshakeRefused extends ConnectionFailed {}
export class NotInotifier extends ConnectionFailed {}
export class BadEndpoint extends ConnectionFailed {}
export class BadKey extends ConnectionFailed {}
export class NoAnswer extends ConnectionFailed {}
/** The daemon is older or newer than this package; the message says which to update. */
export class ProtocolMismatch extends ConnectionFailed {}
/** What the daemon refused. */
export class RequestError extends InotifierError {
  constructor(code: string, message: string);
  readonly code: string;
}
