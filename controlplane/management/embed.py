#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes one C++ source of the command specifications: embed.py OUTPUT FILE..."""
import json
import sys

output, files = sys.argv[1], sys.argv[2:]
with open(output, "w") as out:
    out.write('// SPDX-License-Identifier: BSD-3-Clause\n'
              '#include "controlplane/management/command_spec.hpp"\n\n'
              'namespace homeport::management {\n\nnamespace {\n\n'
              'constexpr std::string_view kFiles[] = {\n')
    for name in sorted(files):
        text = json.dumps(json.load(open(name)), separators=(",", ":"))
        assert ')spec"' not in text
        out.write(f'    R"spec({text})spec",\n')
    out.write('};\n\n}  // namespace\n\n'
              'const std::span<const std::string_view> kCommandFiles = kFiles;\n\n'
              '}  // namespace homeport::management\n')
