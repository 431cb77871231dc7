// FileDirectory.swift -- where the files of a checkpoint are: in a directory, or behind functions of the host.

import XverseCore

/// A place that holds files by name.
package enum FileDirectory: Sendable {
  case path(FilePath)
  case host(HostFiles)

  /// The place in messages.
  package var name: String {
    switch self {
    case .path(let path): path.text
    case .host: "the source"
    }
  }

  /// Whether there is something called `name`.
  func contains(_ name: String) throws(XverseError) -> Bool {
    switch self {
    case .path(let path): try path.appending(name).exists()
    case .host(let files): files.length(of: name) != nil
    }
  }

  /// - Throws: As `InputFile.init`.
  func open(
    _ name: String, maximumLength: Int = .max, expected: InputFile.Identity? = nil
  ) throws(XverseError) -> InputFile {
    switch self {
    case .path(let path):
      try InputFile(path: path.appending(name).text, maximumLength: maximumLength, expected: expected)
    case .host(let files):
      try InputFile(name: name, in: files, maximumLength: maximumLength, expected: expected)
    }
  }

  /// `name` with the place that it is in, for messages.
  func path(of name: String) -> String {
    switch self {
    case .path(let path): ((try? path.appending(name).text) ?? name).inMessage
    case .host: name.inMessage
    }
  }
}
