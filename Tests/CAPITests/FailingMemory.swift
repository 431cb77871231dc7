// FailingMemory.swift -- a host whose memory ends at the first request of a call, at the second, and so on.

import Testing

/// The call got no memory, said so, and everything about it has been checked.
struct OutOfMemory: Error {}

/// Far more requests than any call of a test makes.
private let mostRequests = 5000

/// Calls `body`, which throws `OutOfMemory` when it failed, with request 0, 1, 2... failing until there is no such.
///
/// - Parameter forGood: Whether all requests after that one fail too.
/// - Returns: How often it failed.
func failingEach(_ host: RecordingHost, forGood: Bool = false, _ body: () throws -> Void) throws -> Int {
  var failures = 0
  for number in 0..<mostRequests {
    defer { host.recover() }
    let refused = host.failures
    host.failNext(number, forGood: forGood)
    do { try body() } catch is OutOfMemory { failures += 1 }
    // A request that is refused may be made up for, but then everything must be as if it had not been.
    if host.failures == refused { return failures }
  }
  Issue.record("more than \(mostRequests) requests")
  return failures
}

/// Starts to count the requests of `failingEach` here, after preparations that need memory.
func failing(_ host: RecordingHost, _ body: () throws -> Void) throws {
  host.failAgain()
  defer { host.recover() }
  try body()
}
