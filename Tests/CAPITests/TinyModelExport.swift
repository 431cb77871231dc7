// TinyModelExport.swift -- the model that scripts/check-sanitizers.sh gives to the C programs.

import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("The model of the C programs")
  struct TinyModelExport {
    private static let destination = ProcessInfo.processInfo.environment["XVERSE_TINY_MODEL"]

    @Test("is written to where XVERSE_TINY_MODEL says", .enabled(if: destination != nil))
    func write() throws {
      let destination = try #require(Self.destination)
      let directory = try ModelDirectory()
      try FileManager.default.copyItem(atPath: directory.path, toPath: destination)
    }
  }
}
