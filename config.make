# nginx compiles C; what is ours is C++20. The flags go to our objects alone, a line for each folder.
await_cxxflags="-std=c++20 -fvisibility=hidden -fno-gnu-unique -Wextra -Wno-missing-field-initializers -Wno-maybe-uninitialized $AWAIT_CXXFLAGS"
for await_folder in $await_folders; do
    echo "$NGX_OBJS/addon/$await_folder/%.o: CFLAGS += $await_cxxflags" >> $NGX_MAKEFILE
done

mkdir -p "$NGX_OBJS/await_console"
cat << END >> $NGX_MAKEFILE

$await_console: $ngx_addon_dir/tools/embed-console $(find "$ngx_addon_dir/console" -type f | LC_ALL=C sort | tr '\n' ' ')
	$ngx_addon_dir/tools/embed-console $ngx_addon_dir/console > $await_console.new
	mv $await_console.new $await_console

END
