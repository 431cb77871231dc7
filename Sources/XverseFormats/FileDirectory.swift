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
  func contains(_ name: some PathName) throws(XverseError) -> Bool {
    switch self {
    case .path(let path): try path.appending(name).exists()
    case .host(let files): files.length(of: try FilePath(name)) != nil
    }
  }

  /// - Throws: As `InputFile.init`; `corrupt` for what a failed download left in the file's place.
  func open(
    _ name: some PathName, maximumLength: Int = .max, expected: InputFile.Identity? = nil
  ) throws(XverseError) -> InputFile {
    let file =
      switch self {
      case .path(let path):
        try InputFile(path: path.appending(name), maximumLength: maximumLength, expected: expected)
      case .host(let files):
        try InputFile(name: FilePath(name), in: files, maximumLength: maximumLength, expected: expected)
      }
    try FileBeginning(of: file).requireContent()
    return file
  }

  /// `name` with the place that it is in, for messages.
  func path(of name: FilePath) -> String {
    switch self {
    case .path(let path): (try? path.appending(name))?.inMessage ?? name.inMessage
    case .host: name.inMessage
    }
  }
}
