// Generate.swift -- continues a text, and tells how fast: swift run generate MODEL "Once upon a time"

import Glibc
import XVERSE

@main
enum Generate {
  static func main() async {
    guard CommandLine.arguments.count == 3 else {
      print("usage: generate MODEL PROMPT")
      exit(2)
    }
    let prompt = CommandLine.arguments[2]
    do {
      let session = try Session(try await Model(CommandLine.arguments[1]))
      // What is not set follows the model's generation_config.json.
      let options = SamplingOptions(temperature: 0, maxNewTokens: 100)

      print(prompt, terminator: "")
      let answer = try await session.generate(.text(prompt), options: options) { event in
        print(event.text, terminator: "")
        fflush(nil)
        return true
      }
      print("\n\(answer.statistics.generatedTokens) tokens in \(answer.statistics.decodeTime)")
    } catch {
      print("generate: \(error)")
      exit(1)
    }
  }
}
