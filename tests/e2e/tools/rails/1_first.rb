class First < ActiveRecord::Migration[6.1]
  def up
    create_table "@TABLE@", id: false do |t|
      t.bigint :id, null: false, primary_key: true
      t.string :name, limit: 64, null: false
    end
    execute "INSERT INTO `@TABLE@` (id, name) VALUES (1, 'item 1'), (2, 'item 2'), (3, 'item 3')"
  end

  def down
    drop_table "@TABLE@"
  end
end
