// ThreadState.swift -- what the library keeps for each of the host's threads: the message of its last error, whether it is
// inside a callback, the event that it took from a scheduler, and the floating-point environment that it came with.

import Glibc
import XverseCore
import XverseTensors

/// One thread's state; created with its first call, released when it ends.
final class ThreadState {
  /// How many callbacks this thread is inside of.
  var callbackDepth = 0
  /// The last event of a scheduler that this thread took: its memory.
  var schedulerEvent: ToldEvent?
  /// What the thread had when it entered the library; nil on the library's own threads.
  private var hostFloats: FloatingPointEnvironment?
  private(set) var offset: Int64 = -1
  private var messageMemory: UnsafeMutablePointer<CChar>?

  deinit { free(messageMemory) }

  /// NUL-terminated, valid until the next `set`.
  var message: UnsafePointer<CChar> { messageMemory.map { UnsafePointer($0) } ?? cString("") }

  func set(_ error: XverseError) {
    offset = error.offset
    free(messageMemory)
    messageMemory = strdup(error.message)
  }

  /// Runs `body` of an exported function in the default floating-point environment.
  func insideLibrary<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    let outer = hostFloats
    hostFloats = .replacedByDefault()
    defer {
      hostFloats?.restore()
      hostFloats = outer
    }
    return try body()
  }

  /// Calls a host's function in the host's environment, which it may change.
  func outsideLibrary<Result>(_ body: () -> Result) -> Result {
    hostFloats?.restore()
    callbackDepth += 1
    defer {
      callbackDepth -= 1
      let floats = FloatingPointEnvironment.replacedByDefault()
      if hostFloats != nil { hostFloats = floats }
    }
    return body()
  }

  static var current: ThreadState {
    if let state = pthread_getspecific(key) { return Unmanaged<ThreadState>.fromOpaque(state).takeUnretainedValue() }
    let state = ThreadState()
    pthread_setspecific(key, Unmanaged.passRetained(state).toOpaque())
    return state
  }

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { state in
      guard let state else { return }
      Unmanaged<ThreadState>.fromOpaque(state).release()
    }
    return key
  }()
}

/// Calls a host's callback: inside it most functions return XVERSE_E_MISUSE.
func insideCallback<Result>(_ body: () -> Result) -> Result { ThreadState.current.outsideLibrary(body) }
