// BadDirectory+Files.swift -- files that are missing, and other things in their places.

import CXverse
import Foundation
import Testing

extension BadDirectory {
  static let files: [BadDirectory] = [
    BadDirectory(name: "no directory", status: XVERSE_E_NOTFOUND, words: ["xverse-test-"]) {
      try FileManager.default.removeItem(atPath: $0.path)
    },
    BadDirectory(name: "empty directory", status: XVERSE_E_NOTFOUND, words: ["config.json"]) { directory in
      for file in try FileManager.default.contentsOfDirectory(atPath: directory.path) { try directory.remove(file) }
    },
    BadDirectory(name: "no weights", status: XVERSE_E_NOTFOUND, words: ["model.safetensors"]) {
      try $0.remove("model.safetensors")
    },
    BadDirectory(name: "no tokenizer", status: XVERSE_E_NOTFOUND, words: ["tokenizer.json"]) {
      try $0.remove("tokenizer.json")
    },
    BadDirectory(
      name: "a directory for config.json", status: XVERSE_E_UNSUPPORTED, words: ["config.json", "directory"]
    ) {
      try $0.remove("config.json")
      try FileManager.default.createDirectory(atPath: $0.file("config.json"), withIntermediateDirectories: false)
    },
    BadDirectory(name: "a FIFO for tokenizer.json", status: XVERSE_E_UNSUPPORTED, words: ["tokenizer.json", "FIFO"]) {
      try $0.replace("tokenizer.json") { mkfifo($0, 0o600) }
    },
    BadDirectory(
      name: "a FIFO for the weights", status: XVERSE_E_UNSUPPORTED, words: ["model.safetensors", "FIFO"]
    ) {
      try $0.replace("model.safetensors") { mkfifo($0, 0o600) }
    },
    BadDirectory(
      name: "a device for the weights", status: XVERSE_E_UNSUPPORTED, words: ["model.safetensors", "device"]
    ) {
      try $0.replace("model.safetensors") { symlink("/dev/zero", $0) }
    },
    BadDirectory(
      name: "a directory for generation_config.json", status: XVERSE_E_UNSUPPORTED,
      words: ["generation_config.json", "directory"]
    ) {
      try $0.replace("generation_config.json") { mkdir($0, 0o700) }
    },
    BadDirectory(name: "a link to nothing", status: XVERSE_E_NOTFOUND, words: ["tokenizer.json"]) {
      try $0.replace("tokenizer.json") { symlink("nothing", $0) }
    },
    BadDirectory(name: "a link to itself", status: XVERSE_E_IO, words: ["config.json", "link"]) {
      try $0.replace("config.json") { symlink("config.json", $0) }
    },
    BadDirectory(name: "links to the files, as in a cache of the hub", status: XVERSE_OK, words: []) {
      for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        try FileManager.default.moveItem(atPath: $0.file(name), toPath: $0.file("blob-" + name))
        try #require(symlink("blob-" + name, $0.file(name)) == 0)
      }
    },
  ]
}
