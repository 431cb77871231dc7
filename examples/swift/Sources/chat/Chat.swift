// Chat.swift -- a conversation on the terminal, where Ctrl-C stops an answer: swift run chat MODEL

import Dispatch
import Glibc
import XVERSE

@main
enum Chat {
  static func main() async {
    guard CommandLine.arguments.count == 2 else {
      print("usage: chat MODEL")
      exit(2)
    }
    do {
      try await talk(to: try await Model(CommandLine.arguments[1]))
    } catch {
      print("chat: \(error)")
      exit(1)
    }
  }

  static func talk(to model: Model) async throws {
    let session = try Session(model)
    // What was said. The session keeps what the next prompt has in common with the last one.
    var messages: [Message] = []
    while let line = prompted() {
      if line.isEmpty { continue }
      messages.append(.user(line))
      let answer = Task { [messages] in
        var reply = ""
        for try await piece in session.chat(messages) {
          print(piece, terminator: "")
          fflush(nil)
          reply += piece
        }
        return reply
      }
      let interrupt = onInterrupt { answer.cancel() }
      messages.append(.assistant(try await answer.value))
      interrupt.cancel()
      print()
    }
  }

  private static func prompted() -> String? {
    print("> ", terminator: "")
    fflush(nil)
    return readLine()
  }

  /// Calls `body` instead of ending the process, until the source is cancelled.
  private static func onInterrupt(_ body: @escaping @Sendable () -> Void) -> any DispatchSourceSignal {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler(handler: body)
    source.setCancelHandler { signal(SIGINT, SIG_DFL) }
    source.resume()
    return source
  }
}
