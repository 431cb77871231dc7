// ThreadState.swift -- what the library keeps for each of the host's threads: the message of its last error, and whether
// it is inside a callback.

import Glibc
import XverseCore

/// One thread's state; created with its first call, released when it ends.
final class ThreadState {
  /// How many callbacks this thread is inside of.
  var callbackDepth = 0
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
func insideCallback<Result>(_ body: () -> Result) -> Result {
  let state = ThreadState.current
  state.callbackDepth += 1
  defer { state.callbackDepth -= 1 }
  return body()
}
