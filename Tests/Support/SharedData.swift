// SharedData.swift -- reference data that does not ship with the product: tests that need it are skipped without it.

import Foundation

/// The folder named by XVERSE_SHARED_DATA (`make check-data DATA=...` sets it): real models with reference outputs.
package enum SharedData {
  package static let path: String? = ProcessInfo.processInfo.environment["XVERSE_SHARED_DATA"]

  package static var isAvailable: Bool { path != nil }

  /// The path of `file` inside the folder.
  package static func file(_ file: String) -> String { (path ?? "") + "/" + file }
}
