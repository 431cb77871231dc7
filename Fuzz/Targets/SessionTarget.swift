// SessionTarget.swift -- the file of a saved session, behind its checksums too.

import ModelTestSupport
import TestSupport
import XverseCore
import XverseLoading
import XverseRuntime

extension FuzzTarget {
  /// The bytes are the file, read as it is and then as one of the target's model whose checksums are right.
  static let session = FuzzTarget(name: "session") {
    let files = try ScratchFiles()
    let runtime = try Runtime(threadCount: 1)
    // As small as a model can be: one layer, one KV head of 2 numbers.
    let model = try loadTiny(runtime.context()) {
      ($0.hiddenSize, $0.intermediateSize, $0.layerCount) = (4, 4, 1)
      ($0.headCount, $0.kvHeadCount, $0.headSize) = (2, 1, 2)
    }
    return { bytes in
      for file in [Array(bytes), sealedSession(Array(bytes), fingerprint: model.fingerprint)] {
        try check(Session(model, runtime, context: 200), try files.write("a.session", file), of: file.count)
      }
    }
  }

  /// The session is as before, or holds what can be gone on from and is saved again as it was.
  private static func check(_ session: Session, _ path: String, of fileLength: Int) throws {
    let token: [Int32] = [7]
    try token.withUnsafeBufferPointer { try session.evaluate($0) }
    let logits = session.logits.map { Array($0) }
    do throws(XverseError) {
      try session.restore(from: path)
    } catch {
      try FuzzTargets.check(error, allowing: [.mismatch, .contextFull])
      return try require(
        session.tokens.elementsEqual(token) && session.logits.map { Array($0) } == logits, "changed by \(error)")
    }
    try require(session.length <= session.context, "\(session.length) tokens")
    try require(4 * session.length + session.note.count < fileLength, "more than the file has")
    try require(
      session.tokens.allSatisfy { $0 >= 0 && Int($0) < session.model.configuration.vocabularySize }, "a token")
    if session.hasRoom { try token.withUnsafeBufferPointer { try session.evaluate($0) } }
    try session.save(to: path)
    try session.restore(from: path)
  }
}
