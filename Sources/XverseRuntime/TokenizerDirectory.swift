// TokenizerDirectory.swift -- a tokenizer alone, with the special ids of the files beside it.

import XverseCore
import XverseFormats
import XverseModels
import XverseTokenizers

/// What a tokenizer.json, or the directory that holds one, turns into.
package struct TokenizerDirectory {
  package let tokenizer: Tokenizer
  /// nil without a config.json beside the tokenizer.
  package let specialTokens: SpecialTokens?

  /// - Throws: `notFound`, `io`, `corrupt`, `unsupported`, `limit`, naming the file and the part of it.
  package init(path: String) throws(XverseError) {
    let place = try FilePath(path)
    let isDirectory = try place.kind() == .directory
    let directory = isDirectory ? place : try FilePath(place.directory)
    let file = try MappedFile(
      path: isDirectory ? place.appending("tokenizer.json").text : path, mode: .read,
      maximumLength: ModelDescription.tokenizerLimit)
    tokenizer = try Tokenizer(json: file.bytes, source: file.name)
    guard try directory.appending("config.json").exists() else {
      specialTokens = nil
      return
    }
    let location = try CheckpointLocation(path: directory.text)
    let configuration = try ModelDescription.configuration(location, ModelOptions(), .system)
    specialTokens = SpecialTokens(
      configuration, try ModelDescription.generationDefaults(location, configuration, .system))
  }
}
