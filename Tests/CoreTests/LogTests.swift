// LogTests.swift -- who hears what.

import Foundation
import Synchronization
import Testing

import XverseCore

/// What a receiver heard, on whatever thread.
private final class Ear: Sendable {
  private let lines = Mutex<[String]>([])
  var heard: [String] { lines.withLock { $0 } }
  var receiver: Log.Receiver {
    { level, message in self.lines.withLock { $0.append("\(level.rawValue) \(message)") } }
  }
}

private func sayEverything(_ log: Log) {
  log(.error, "e")
  log(.warning, "w")
  log(.info, "i")
  log(.debug, "d")
}

@Suite("Log")
struct LogTests {
  @Test("is silent unless asked")
  func startsSilent() {
    let ear = Ear()

    sayEverything(Log())
    sayEverything(Log(receiver: ear.receiver))

    #expect(ear.heard.isEmpty)
  }

  @Test(
    "lets through what is at least as urgent as its level",
    arguments: zip([Log.Level.off, .error, .warning, .info, .debug], 0...4))
  func filters(level: Log.Level, count: Int) {
    let ear = Ear()

    sayEverything(Log(level: level, receiver: ear.receiver))

    #expect(ear.heard == Array(["1 e", "2 w", "3 i", "4 d"].prefix(count)))
  }

  @Test("a message that nobody hears is not built")
  func buildsNothing() {
    var count = 0
    func message() -> String {
      count += 1
      return "expensive"
    }
    let log = Log(level: .warning, receiver: Ear().receiver)

    log(.info, message())
    #expect(count == 0)
    log(.error, message())
    log.set(level: .debug, receiver: nil)
    log(.error, message())

    #expect(count == 1)
  }

  @Test("goes to another receiver from then on")
  func changesReceiver() {
    let (first, second) = (Ear(), Ear())
    let log = Log(level: .info, receiver: first.receiver)
    log(.info, "one")

    log.set(level: .error, receiver: second.receiver)
    log(.info, "two")
    log(.error, "three")

    #expect(first.heard == ["3 one"])
    #expect(second.heard == ["1 three"])
  }

  @Test("a receiver may use the log itself")
  func holdsNoLock() {
    let ear = Ear()
    let log = Log()
    log.set(level: .info) { level, message in
      log.set(level: .debug, receiver: ear.receiver)
      log(.debug, "again: \(message)")
    }

    log(.info, "hello")

    #expect(ear.heard == ["4 again: hello"])
  }

  @Test("threads may log while others change the receiver")
  func takesManyThreads() {
    let ear = Ear()
    let log = Log(level: .info, receiver: ear.receiver)

    DispatchQueue.concurrentPerform(iterations: 8) { index in
      for count in 0..<200 {
        if index == 0 { log.set(level: .info, receiver: ear.receiver) } else { log(.info, "\(index) \(count)") }
      }
    }

    #expect(ear.heard.count == 7 * 200)
  }
}
