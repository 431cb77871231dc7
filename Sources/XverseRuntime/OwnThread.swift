// OwnThread.swift -- threads of the library's own.

import Glibc

/// Starts threads on which all signals are blocked: the host's handlers never run there.
enum OwnThread {
  /// - Returns: The thread, to be joined or detached; nil with an errno when the system has none left.
  static func start(_ body: @escaping () -> Void) -> (thread: pthread_t?, error: Int32) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    // Kernels keep their tiles on the stack; the system's default may be as small as the host likes.
    pthread_attr_setstacksize(&attributes, 4 << 20)
    var everySignal = sigset_t()
    var previous = sigset_t()
    sigfillset(&everySignal)
    pthread_sigmask(SIG_SETMASK, &everySignal, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    let argument = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, argument.toOpaque())
    guard code == 0 else {
      argument.release()
      return (nil, code)
    }
    return (thread, 0)
  }

  private final class Body {
    let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }
  }
}
