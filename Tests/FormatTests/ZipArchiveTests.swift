// ZipArchiveTests.swift -- zip archives: what is read of them, and every lie of a header found before it is believed.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("ZipArchive")
struct ZipArchiveTests {
  private func file(_ change: @escaping (inout ZipFile) -> Void) -> PyTorchFile {
    var file = PyTorchFile(["w": [5, 6]])
    file.change = change
    return file
  }

  @Test("reads archives with and without zip64, and with sizes in either place")
  func readsArchives() throws {
    let changes: [(inout ZipFile) -> Void] = [
      { _ in }, { $0.isLarge = false }, { for index in $0.entries.indices { $0.entries[index].isLarge = true } },
      { $0.alignment = 1 }, { $0.entries[0].checksum = 0 }, { $0.entries[2].flags = 0x0808 },
    ]
    for change in changes {
      let checkpoint = try openPyTorch(file(change))
      #expect(try checkpoint.tensor(named: "w")?.floats == [5, 6])
    }
  }

  @Test("puts each tensor where torch aligned it, in the mapped file")
  func mapsInPlace() throws {
    let checkpoint = try openPyTorch(PyTorchFile(["w": [5, 6]]))

    let tensor = try #require(try checkpoint.tensor(named: "w"))
    #expect(Int(bitPattern: tensor.data) % 64 == 0)
  }

  @Test(
    "refuses a name that leads out of the archive",
    arguments: ["../x", "archive/../../x", "/etc/passwd", "\\x", "a\\..\\b", "x\u{0}y", "", "..", "archive/.."])
  func refusesNames(name: String) {
    let error = refusal(file { $0.entries.append(ZipFile.Entry(name, [1])) })

    #expect(error?.code == .unsafe)
    #expect(error?.message.hasPrefix("x.bin: entry '") == true)
    #expect(error?.message.hasSuffix("has a name that leaves the archive, expected a plain name") == true)
  }

  @Test(
    "takes a name with dots that leads nowhere", arguments: ["archive/...", "archive/..x", "archive/.data/x", "x/./y"])
  func takesNames(name: String) throws {
    let file = file { $0.entries.append(ZipFile.Entry(name, [1])) }

    #expect(try openPyTorch(file).tensorNames == ["w"])
  }

  @Test("refuses a name that stands twice")
  func refusesDuplicates() {
    let error = refusal(file { $0.entries.append(ZipFile.Entry("archive/data/0", [1])) })

    #expect(error == .corrupt("x.bin: entry 'archive/data/0' stands twice in the zip archive"))
  }

  @Test(
    "refuses compressed entries by the name of the method, and so all bombs",
    arguments: [
      (8, "deflate"), (9, "deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "zstd"), (95, "xz"), (99, "method 99"),
    ])
  func refusesCompression(method: UInt16, name: String) {
    let error = refusal(
      file {
        $0.entries[2].method = method
        $0.entries[2].byteCount = 1 << 40
        $0.entries[2].compressedByteCount = 8
      })

    #expect(
      error
        == .unsupported(
          "x.bin: entry 'archive/data/0' of the zip archive is compressed by \(name), expected it stored as torch.save does"
        ))
  }

  @Test("refuses an encrypted entry")
  func refusesEncryption() {
    let error = refusal(file { $0.entries[2].flags |= 1 })

    #expect(
      error?.code == .unsupported && error?.message.contains("'archive/data/0' of the zip archive is encrypted") == true
    )
  }

  @Test("refuses a pickle with a wrong check sum")
  func refusesChecksum() {
    let error = refusal(file { $0.entries[0].checksum = 7 })

    #expect(error?.code == .corrupt && error?.message.hasPrefix("x.bin: data.pkl has the check sum ") == true)
  }

  @Test(
    "refuses sizes and places that the file does not have",
    arguments: [8, 1 << 20, 1 << 32, 1 << 62, 1 << 63, .max] as [UInt64], [false, true])
  func refusesSizes(number: UInt64, isLarge: Bool) {
    let changes: [(inout ZipFile) -> Void] = [
      { $0.entries[2].byteCount = 1 + number }, { $0.entries[2].headerBegin = number + 1000 },
      { $0.entries[2].compressedByteCount = number + 9 },
    ]
    for change in changes {
      let error = refusal(
        file {
          for index in $0.entries.indices { $0.entries[index].isLarge = isLarge }
          $0.entries[2].byteCount = nil
          if number <= .max - 1000 { change(&$0) } else { $0.entries[2].headerBegin = number }
        })
      #expect(error?.code == .corrupt, "\(error?.message ?? "")")
    }
  }

  @Test("refuses entries that overlap, and a local header of another name")
  func refusesOverlap() {
    let overlap = refusal(
      file { archive in
        archive.entries[3].headerBegin = 0
        archive.entries[3].name = archive.entries[0].name + [0x78]
      })
    let inside = refusal(file { $0.entries[2].headerBegin = 1 })
    let renamed = refusal(file { $0.entries[2].localName = Array("archive/data/1".utf8) })

    #expect(overlap?.code == .corrupt && inside?.code == .corrupt)
    #expect(
      renamed?.message.contains("entry 'archive/data/0' has another header at byte ") == true,
      "\(renamed?.message ?? "")")
  }

  @Test("refuses two entries with the same bytes")
  func refusesSharedBytes() {
    let error = refusal(
      file { archive in
        var copy = archive.entries[2]
        copy.name = Array("archive/data/1".utf8)
        copy.headerBegin = 0
        archive.entries.append(copy)
      })

    #expect(error?.code == .corrupt)
    #expect(
      error?.message.contains("where another one lies") == true || error?.message.contains("another header") == true)
  }

  @Test("refuses an end that does not fit its directory")
  func refusesEnds() {
    let changes: [(inout ZipFile) -> Void] = [
      { $0.entryCount = 3 }, { $0.entryCount = 5 }, { $0.directoryByteCount = 1 }, { $0.directoryBegin = 0 },
      { $0.directoryBegin = .max }, { $0.directoryByteCount = .max }, { $0.directoryBegin = 1 << 63 },
      { $0.comment = [1] }, { $0.comment = Array(repeating: 0, count: 65_535) },
    ]
    for change in changes {
      for isLarge in [false, true] {
        let error = refusal(
          file {
            $0.isLarge = isLarge
            change(&$0)
          })
        #expect(error?.code == .corrupt, "\(error?.message ?? "")")
      }
    }
  }

  @Test("refuses more entries than tensors could need, before it looks at them")
  func limitsEntries() {
    #expect(refusal(file { $0.entryCount = 1 << 40 })?.code == .limit)
    #expect(refusal(file { $0.entries.append(ZipFile.Entry(String(repeating: "x", count: 1025), [])) })?.code == .limit)
  }

  @Test("refuses an archive without a folder, without a pickle, and without entries")
  func refusesOtherArchives() {
    let flat = refusal(file { $0.entries = [ZipFile.Entry("data.pkl", [1])] })
    let other = refusal(file { $0.entries = [ZipFile.Entry("xl/workbook.xml", [1])] })

    #expect(flat?.message == "x.bin: the zip archive has no folder with a data.pkl, expected a file of torch.save")
    #expect(other == .corrupt("x.bin: there is no data.pkl in the zip archive, expected a file of torch.save"))
    let error = #expect(throws: XverseError.self) { try openPyTorch(Array("PK\u{3}\u{4}".utf8) + ZipFile().bytes) }
    #expect(error?.code == .corrupt)
  }

  @Test("computes the check sum of zip")
  func computesChecksum() {
    let sum = Array("123456789".utf8).withUnsafeBytes { CRC32.checksum(of: $0) }

    #expect(sum == 0xCBF4_3926)
  }
}
