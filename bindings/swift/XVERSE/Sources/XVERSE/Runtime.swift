// Runtime.swift -- the library, and its compute threads and memory.

internal import CXverse
import Synchronization

/// The library itself.
public enum Library {
  /// "major.minor.patch".
  public static var version: String { String(cString: xverse_version()) }

  /// A JSON object: commit, compiler, kernels, threading.
  public static var buildInfo: String { String(cString: xverse_build_info()) }
}

/// How much the log says.
public enum LogLevel: Int32, Sendable { case off, error, warn, info, debug }

/// Compute threads, and the memory that the models and sessions on them share. Most programs use the default one.
public final class Runtime: Sendable {
  /// Nil stands for the default runtime.
  let handle: Handle?

  /// The process's own runtime.
  public static let `default` = Runtime(handle: nil)

  private typealias Receiver = Box<@Sendable (LogLevel, String) -> Void>

  /// All that ever were, see setLog.
  private static let receivers = Mutex<[Receiver]>([])

  private init(handle: Handle?) { self.handle = handle }

  /// Errors: `unsupported` (an instruction set that the CPU lacks), `range`, `outOfMemory`.
  public convenience init(_ options: RuntimeOptions) throws(XverseError) {
    let options = try options.handle()
    self.init(
      handle: try Handle(free: { xverse_runtime_release($0) }) { xverse_runtime_create(options.pointer, nil, $0) })
  }

  /// Bytes held now and the most ever held, mapped files not counted.
  public func memory() throws(XverseError) -> (current: Int, peak: Int) {
    var current: Int64 = 0
    var peak: Int64 = 0
    try check(xverse_runtime_memory(handle?.pointer, &current, &peak))
    return (Int(current), Int(peak))
  }

  /// Sends messages up to `level` to `receive`, from any thread; nil for silence. `receive` is kept until the process
  /// ends, for a thread may be inside it when another takes its place.
  public func setLog(_ level: LogLevel, _ receive: (@Sendable (LogLevel, String) -> Void)?) throws(XverseError) {
    let receiver = receive.map { Receiver($0) }
    if let receiver { Self.receivers.withLock { $0.append(receiver) } }
    let user = receiver.map { Unmanaged.passUnretained($0).toOpaque() }
    let function: xverse_log_fn = { user, level, message, length in
      Receiver.closure(user)?(LogLevel(rawValue: level) ?? .debug, String(bytes: message, count: length))
    }
    try check(xverse_runtime_set_log(handle?.pointer, user == nil ? nil : function, user, level.rawValue))
  }
}
