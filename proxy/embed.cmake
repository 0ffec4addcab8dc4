# cmake -DOUT=... -DFILES="path|type|file;..." -P embed.cmake: writes a C header with the bytes of the files,
# and a table ASSETS of them. For proxy/assets.c.
set(arrays "")
set(rows "")
set(n 0)
foreach(entry IN LISTS FILES)
  string(REPLACE "|" ";" parts "${entry}")
  list(GET parts 0 path)
  list(GET parts 1 type)
  list(GET parts 2 file)
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}") # a line of the header for each of the file
  string(APPEND arrays "static const unsigned char ASSET_${n}[] = {\n${bytes}\n};\n")
  string(APPEND rows "    {\"${path}\", \"${type}\", ASSET_${n}, sizeof(ASSET_${n})},\n")
  math(EXPR n "${n} + 1")
endforeach()
file(WRITE "${OUT}" "/* Made by embed.cmake. */\n${arrays}static const struct asset ASSETS[] = {\n${rows}};\n")
