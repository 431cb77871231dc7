// Fixture.swift -- the demonstration model, loaded once.

import Foundation
import Testing
import XVERSE

enum Demo {
  static let path = URL(fileURLWithPath: #filePath).appending(path: "../../../../../../examples/demo-model")
    .standardized.path

  /// Its answers in this file are those of examples/demo-model/README.md.
  static let model = Task { try await Model(path) }

  static let spider: [Message] = [.user("How many legs does a spider have?")]
  static let spiderAnswer = "A spider has eight legs."

  static let greedy = SamplingOptions(temperature: 0)

  /// An answer that does not end by itself before the context does; where that shifts, never in a lifetime.
  static let endless = SamplingOptions(temperature: 0, maxNewTokens: 1 << 24, ignoreEOS: true)
}

/// All that a stream gives.
func joined(_ stream: AsyncThrowingStream<String, any Error>) async throws -> String {
  try await stream.reduce(into: "") { $0 += $1 }
}

/// A folder that ends with the test.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
  let folder = FileManager.default.temporaryDirectory.appending(path: "xverse-\(UUID().uuidString)").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try await body(folder)
}
